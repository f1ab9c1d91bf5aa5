"""Writes image files and what TensorFlow decodes of them: the golden numbers of dormouse-data's images.

    python tests/oracle/encoded.py > crates/dormouse-data/src/image/golden.txt

A line is a format, the channels asked for, the file's bytes in hexadecimal, and after `=>` extents and bytes, or `error`.
"""

import io
import struct
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
random = np.random.RandomState(1)


def smooth(height, width, channels):
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3.0 + c)) + np.cos(y / (2.0 + c)) for c in range(channels)]
    return np.uint8(np.clip(128 + 55 * np.stack(waves, -1), 0, 255))


def noise(height, width, channels):
    return random.randint(0, 256, [height, width, channels]).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, *extra):
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bmp(image):
    height, width, channels = image.shape
    rows = [row[:, ::-1].tobytes() if channels == 3 else row[:, [2, 1, 0, 3]].tobytes() for row in image[::-1]]
    rows = [row + b"\0" * (-len(row) % 4) for row in rows]
    data = b"".join(rows)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 * channels, 0, len(data), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + head + data


def files():
    with tf.Session() as session:
        encode = lambda x: session.run(tf.image.encode_png(x))
        yield from (("png", encode(noise(3, 4, c))) for c in (1, 2, 3, 4))
        yield "png", session.run(tf.image.encode_png(random.randint(0, 65536, [2, 3, 3]).astype(np.uint16)))
        palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50, 0, 255, 7]))
        yield "png", png(3, 2, 8, 3, [bytes([0, 1, 2]), bytes([2, 2, 0])], palette)
        yield "png", png(3, 2, 8, 3, [bytes([0, 1, 2]), bytes([2, 2, 0])], palette, chunk(b"tRNS", bytes([0, 128])))
        yield "png", png(9, 2, 1, 0, [bytes([0b10110011, 0x80]), bytes([0b01010101, 0])])
        yield "png", png(3, 2, 4, 0, [bytes([0x1F, 0x80]), bytes([0x70, 0xA0])])
        for image in (smooth(11, 13, 3), smooth(8, 8, 3), smooth(9, 17, 1), noise(5, 7, 3)):
            fmt = "grayscale" if image.shape[-1] == 1 else "rgb"
            for quality in (95, 40):
                yield "jpeg", session.run(tf.image.encode_jpeg(image, format=fmt, quality=quality, chroma_downsampling=False))
        yield "jpeg", session.run(tf.image.encode_jpeg(smooth(12, 14, 3), quality=90))
        yield "jpeg", session.run(tf.image.encode_jpeg(smooth(12, 14, 3), quality=90, progressive=True))
        yield "bmp", bmp(noise(3, 5, 3))
        yield "bmp", bmp(noise(2, 4, 4))


if __name__ == "__main__":
    print("# Made by tests/oracle/encoded.py with TensorFlow", tf.__version__)
    decoders = {"png": tf.image.decode_png, "jpeg": tf.image.decode_jpeg, "bmp": tf.image.decode_bmp}
    with tf.Session() as session:
        for kind, data in files():
            for channels in (0, 1, 3, 4):
                if channels == 4 and kind == "png" and data[24] < 8 and data[25] == 0:
                    # TensorFlow's opacity is as many bits as brightness has, not all of a byte.
                    continue
                try:
                    # libjpeg-turbo's slow and exact transform.
                    options = {"dct_method": "INTEGER_ACCURATE"} if kind == "jpeg" else {}
                    x = session.run(decoders[kind](data, channels=channels, **options))
                    told = ",".join(str(n) for n in x.shape) + " " + x.tobytes().hex()
                except (ValueError, tf.errors.InvalidArgumentError):
                    told = "error"
                print(kind, channels, data.hex(), "=>", told)
