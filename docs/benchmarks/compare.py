"""Measures Dormouse and its peers in turn, within one call, and prints what each takes a step and how often ours goes into it.

    python3 docs/benchmarks/compare.py [--rounds 3] [--peers tf1,jax,torch,torch-compile,onnxruntime] [WORKLOAD ...]
    python3 docs/benchmarks/compare.py --peers candle,burn,autograd,dfdx [WORKLOAD ...]

The peers in Python run in virtual environments of their own, whose pythons these variables name (see README.md): TF_PYTHON,
JAX_PYTHON, TORCH_PYTHON, ONNX_PYTHON. Those in Rust are run by cargo from the folder `rust`, or are in the folder that RUST_PEERS
names. Ours is `cargo run --release -p dormouse-bench`, or the program that OURS names.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = shlex.split(os.environ.get("OURS", "cargo run --release --quiet -p dormouse-bench --"))
WORKLOADS = ["hello", "chain", "branches", "elementwise", "matmul256", "matmul1024", "matmul2048", "mlp", "lenet", "lstm",
             "predict1", "predict100", "mobilenet", "resnet"]
# Peer: the variable that names its python, its program, what else its environment holds.
PEERS = {
    "tf1": ("TF_PYTHON", "tf1.py", {}),
    "jax": ("JAX_PYTHON", "jax_peer.py", {}),
    "torch": ("TORCH_PYTHON", "torch_peer.py", {}),
    "torch-compile": ("TORCH_PYTHON", "torch_peer.py", {"MODE": "compile"}),
    "onnxruntime": ("ONNX_PYTHON", "onnx_peer.py", {}),
}
RUST_PEERS = ["candle", "burn", "autograd", "dfdx"]
# glibc then keeps what a program frees, for all alike: without, some peers spend most of a step on page faults.
KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}


def nanoseconds(command, workload, folder, environment):
    """The median of one process, or nothing where it has no such workload or fails, which it then tells itself."""
    environment = {**os.environ, **KEEPING, **environment}
    done = subprocess.run([*command, workload], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [line["ns_per_step"] for line in lines if line["workload"] == workload]
    if not found and "no workload" not in done.stderr:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        print(f"{shlex.join(command)} {workload}: {last}", file=sys.stderr)
    return found[0] if found else None


def command_of(peer):
    if peer in RUST_PEERS:
        built = os.environ.get("RUST_PEERS")
        run = ["cargo", "run", "--release", "--quiet", "-p", f"{peer}-peer", "--"]
        return [str(Path(built).resolve() / f"{peer}-peer")] if built else run, HERE / "rust", {}
    variable, program, environment = PEERS[peer]
    return [os.environ.get(variable, "python3"), program], HERE, environment


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each program, of whose medians the median counts")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    options = parser.parse_args()
    peers = [peer for peer in options.peers.split(",") if peer]
    unknown = [peer for peer in peers if peer not in PEERS and peer not in RUST_PEERS]
    if unknown:
        parser.error(f"no peer {unknown[0]}; there are {', '.join([*PEERS, *RUST_PEERS])}")
    programs = {"dormouse": (OURS, ROOT, {})} | {peer: command_of(peer) for peer in peers}
    print(f"{'µs a step':12}" + "".join(f"{name:>21}" for name in programs) + f"{'best peer / ours':>19}", flush=True)
    for workload in options.workloads or WORKLOADS:
        times = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name, (command, folder, environment) in programs.items():
                found = nanoseconds(command, workload, folder, environment)
                times[name] += [] if found is None else [found / 1e3]
        medians = {name: statistics.median(found) for name, found in times.items() if found}
        ours = medians.get("dormouse")
        row = f"{workload:12}"
        for name in programs:
            time = medians.get(name)
            ratio = f" ({time / ours:.2f})" if time and ours and name != "dormouse" else ""
            row += f"{'–' if time is None else f'{time:,.{3 if time < 1 else 1}f}{ratio}':>21}"
        theirs = [time for name, time in medians.items() if name != "dormouse"]
        print(row + (f"{min(theirs) / ours:>19.2f}" if theirs and ours else f"{'–':>19}"), flush=True)


if __name__ == "__main__":
    main()
