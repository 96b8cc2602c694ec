"""Where the CPU goes: py-spy beside the processes that are measured, where `--profile` asks for it."""

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.options import Options

_RATE = 199  # samples a second; a prime, so that it does not beat with whatever runs a hundred times a second
_TOP = 12
_ALWAYS = 0.8  # of the samples: what is in more of them is how the process was started
_LINE = re.compile(r":\d+\)$")

found: dict[str, str] = {}  # a report by the figure's and the process's name


@contextmanager
def watching(options: Options, figure: str, pids: Mapping[str, int]) -> Iterator[None]:
    """Record these processes, with their children, for as long as the block lasts."""
    if options.profile_dir is None:
        yield
        return
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise SystemExit("--profile needs py-spy: pip install py-spy")
    recordings = {}
    for name, pid in pids.items():
        path = options.profile_dir / f"{figure}.{name}.txt".replace(" ", "-").replace(",", "")
        command = [program, "record", "--subprocesses", "--format", "raw", "--rate", str(_RATE), "--gil"]
        command += ["--output", str(path), "--pid", str(pid)]
        recordings[name, path] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        for (name, path), recording in recordings.items():
            recording.send_signal(signal.SIGINT)  # it writes its file at Ctrl-C
            recording.wait(60)
            if path.exists():
                found[f"{figure}, {name}"] = top(path)


def top(path: Path) -> str:
    """The functions that were most often on a stack (with all they call), and on its top (alone), in percent."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    samples = 0
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_LINE.sub(")", frame) for frame in stack.split(";") if not frame.startswith("process ")]
        if not frames:
            continue
        samples += int(count)
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    telling = [(frame, count) for frame, count in within.most_common() if count < _ALWAYS * samples]
    lines = [f"{samples} samples with the interpreter's lock held", "with all they call:"]
    lines += [f"  {100 * count / samples:5.1f} %  {frame}" for frame, count in telling[: 2 * _TOP]]
    lines += ["alone:"]
    lines += [f"  {100 * count / samples:5.1f} %  {frame}" for frame, count in alone.most_common(_TOP)]
    return "\n".join(lines)
