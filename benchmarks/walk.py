"""Walk through README and tutorial: run what they tell a reader to type, in order, and record what comes out.

``python -m benchmarks.walk`` clones the checkout into an empty folder, where ``make demo`` makes a new environment;
``--environment`` uses the running one instead. The record is written to ``benchmarks/results/walk.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/tutorial.md")
LOCAL = re.compile(r"^WARNING: (Location|Cache|The directory) .*\n?", re.M)  # pip's words on its index and its folders
FIRST, LAST, WIDTH = 12, 6, 160  # lines of an output that are recorded, and characters of a line


def commands(page: str, everything: bool) -> Iterator[tuple[str, str, str]]:
    """Yield what to show, what to run, and why it is not run, if so."""
    for language, code in re.findall(r"```(bash|python)\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S):
        if language == "python":
            yield "python: " + code.strip().replace("\n", "\n    "), f"python - <<'EOF'\n{code}\nEOF", ""
            continue
        for line in filter(str.strip, code.splitlines()):
            takes = re.search(r"# (takes .*)", line)
            why = takes[1] if takes else "run separately" if line.startswith("make test") else ""
            yield line.split("  #")[0].rstrip(), line, "" if everything else why


def shortened(text: str, folder: Path) -> str:
    """Return an output without what is of this machine alone, and without its middle if it is long."""
    text = LOCAL.sub("", text)
    text = text.replace(str(folder.resolve()), ".").replace(str(folder), ".").replace(str(Path.home()), "~")
    text = text.replace(os.environ.get("GRAPHSEQ_DATA") or str(folder), "$GRAPHSEQ_DATA")
    lines = [line if len(line) <= WIDTH else line[:WIDTH] + "…" for line in text.rstrip().splitlines()]
    if len(lines) > FIRST + LAST + 1:
        lines[FIRST:-LAST] = [f"… {len(lines) - FIRST - LAST} more lines"]
    return "\n".join(lines)


def link_environment(folder: Path) -> None:
    """Make ``.venv`` of the running environment's packages and the folder's graphseq, so that nothing is installed."""
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "walk.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    program = venv / "bin/graphseq"
    program.write_text(f"#!{venv}/bin/python\nfrom graphseq.cli import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    for stamp in (".installed", ".installed-dev"):
        (venv / stamp).touch()


def walk(folder: Path, *, everything: bool) -> Iterator[str]:
    """Yield the record of each command."""
    table = "text,label\n" + "".join(f"a {word} film,{word}\n" for word in ["good", "bad"] * 15)
    for name in ("reviews", "more", "new"):  # the reader's own files in README
        (folder / f"{name}.csv").write_text(table, encoding="utf-8")
    activate = ""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    for page in PAGES:
        yield f"## {page}\n"
        for shown, line, why in commands(page, everything):
            if why:
                yield f"`{shown}` was not run: {why}.\n"
                continue
            start = time.monotonic()
            done = subprocess.run(
                ["bash", "-c", f"exec 2>&1; {activate}{line}"], cwd=folder, env=environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            )  # fmt: skip
            seconds = time.monotonic() - start
            print(f"{done.returncode}  {seconds:6.1f} s  {shown.splitlines()[0]}", flush=True)
            activate = "source .venv/bin/activate; " if line.startswith("source ") else activate
            out = shortened(done.stdout, folder)
            yield f"```text\n$ {shown}\n{out}\n```\n\nExit code {done.returncode}, {seconds:.1f} s.\n"


def main() -> None:
    """Walk, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", action="store_true", help="use the running environment instead of a new one")
    parser.add_argument("--all", action="store_true", help="also run what is marked as long")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/walk.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "graphseq"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder], check=True)
        if options.environment:
            link_environment(folder)
        record = list(walk(folder, everything=options.all))
    kind = "the packages of an existing environment" if options.environment else "a new environment"
    failed = sum("\n\nExit code " in part and "\n\nExit code 0," not in part for part in record)
    command = f"python -m benchmarks.walk{' --environment' * options.environment}"
    head = (
        f"# A walk through README and tutorial\n\nWritten on {time.strftime('%Y-%m-%d')} by `{command}`, in a new "
        f"clone with {kind}: Python {platform.python_version()}, {os.cpu_count()} cores.\n"
        f"Commands that failed: {failed}. Long outputs are shortened.\n"
    )
    options.out.write_text("\n".join([head, *record]), encoding="utf-8")


if __name__ == "__main__":
    main()
