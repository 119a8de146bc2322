#!/usr/bin/env python3
"""Rebuilds every compiled module and every recorded expectation under models/, or checks that none has drifted.

    .venv/bin/python models/rebuild.py             # compile, run, record; write manifests
    .venv/bin/python models/rebuild.py --check     # the same into a scratch folder; compare byte for byte, change nothing
    .venv/bin/python models/rebuild.py --train     # train digits first (rounding may differ on other machines)
    .venv/bin/python models/rebuild.py --host DIR  # compile models/bench for this machine's CPU into DIR
    .venv/bin/python models/rebuild.py --older BIN # also recompile models/programs/compat_3_12 with the 3.12 compiler in BIN
    .venv/bin/python models/rebuild.py softmax     # only programs whose name contains the word

The compiler's output depends on its version, its flags and the source's relative path, and on nothing else, so bytes are compared.
The directives at the top of a program are described in README.md and read by directives.py.
"""

import argparse
import dataclasses
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from directives import Case, Program, read_program  # noqa: E402

MODELS = pathlib.Path(__file__).resolve().parent
TOOLS = pathlib.Path(sys.executable).parent
LOCAL = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu"]
OLDER = "compat_3_12"
FOLDERS = ["digits", "programs", "check", "library", "bench"]


def tool(name):
    """A tool of the environment that runs this script, else one on the path."""
    beside = TOOLS / name
    return str(beside) if beside.exists() else name


class Problem(Exception):
    """A program that does not compile, or a case whose answer is not what its directives say."""


def compile_program(program, output, processor, compiler=None):
    """Runs in models/, because the relative path is part of the module's debug information."""
    source, flags = program.source, [f"--iree-llvmcpu-target-cpu={processor}", *program.flags]
    chosen = program.declares_device or any(flag.startswith("--iree-hal-target-device=") for flag in flags)
    target = [] if chosen else LOCAL
    command = [compiler or tool("iree-compile"), *target, "--iree-llvmcpu-debug-symbols=false", *flags, str(source.relative_to(MODELS)), "-o", str(output)]
    done = subprocess.run(command, cwd=MODELS, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        first = "\n".join(line for line in done.stderr.splitlines() if "error:" in line)
        raise Problem(f"{source.name} does not compile:\n{first}")


def run_case(case: Case, folder):
    """The reference's answer: (exit code, stdout, stderr). Paths in a case are relative to its folder."""
    command = [tool("iree-run-module"), "--device=local-sync"]
    command += [f"--module={module}" for module in case.modules]
    command += [f"--function={case.function}"] if case.function else []
    command += [f"--input={text}" for text in case.inputs] + case.run_flags
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def record_case(case: Case, target, folder):
    """Runs and writes down, unless the answer is not what the directives say."""
    code, stdout, stderr = run_case(case, folder)
    if code != case.expect_exit:
        raise Problem(f"{case.name}: exit {code}, expected {case.expect_exit}\n{stdout}{stderr}")
    if case.error and case.error not in stderr:
        raise Problem(f"{case.name}: stderr lacks {case.error!r}\n{stderr}")
    target.write_text(stdout)


def record(program: Program, folder, scratch, problems):
    """Writes expected/<case>.txt into `scratch`; cases where the reference errs keep the text written by hand."""
    expected = scratch / "expected"
    expected.mkdir(exist_ok=True)
    for case in program.cases:
        target = expected / f"{case.name}.txt"
        if case.differs:
            attempt(problems, shutil.copyfile, folder / "expected" / target.name, target)
        else:
            attempt(problems, record_case, case, target, scratch)


def attempt(problems, work, *operands):
    """Collects problems, so that one run reports them all."""
    try:
        work(*operands)
    except (Problem, OSError, subprocess.TimeoutExpired) as problem:
        problems.append(str(problem))


def older_cases(program, folder):
    """The cases of a program again, for its module from the compiler before, if there is one. The answers must be the same."""
    if not (folder / OLDER / f"{program.name}.vmfb").exists():
        return []
    own, older = [f"{program.name}.vmfb"], [f"{OLDER}/{program.name}.vmfb"]
    return [dataclasses.replace(case, name=f"older_{case.name}", modules=older) for case in program.cases if case.modules == own]


def rebuild_older(binaries, check):
    """Recompiles what compat_3_12 holds, or says what of it differs."""
    drifted = []
    with tempfile.TemporaryDirectory() as temporary:
        for module in sorted((MODELS / "programs" / OLDER).glob("*.vmfb")):
            fresh = pathlib.Path(temporary) / module.name
            program = read_program(MODELS / "programs" / f"{module.stem}.mlir")
            compile_program(program, fresh, "generic", str(binaries / "iree-compile"))
            if not check:
                shutil.copyfile(fresh, module)
            elif not filecmp.cmp(fresh, module, shallow=False):
                drifted.append(f"programs/{OLDER}/{module.name}: differs from a fresh build")
    return drifted


def build_folder(folder, scratch, only, problems):
    """Everything that belongs to one folder, written below `scratch`. Modules are compiled first: programs may import each other."""
    programs = [read_program(source) for source in sorted(folder.glob("*.mlir"))]
    for program in programs:
        program.cases += older_cases(program, folder)
    chosen = [p for p in programs if not only or any(word in p.name for word in only)]
    for program in chosen:
        attempt(problems, compile_program, program, scratch / f"{program.name}.vmfb", "generic")
    names = [case.name for program in programs for case in program.cases]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise SystemExit(f"{folder.name}: case names used twice: {sorted(repeated)}")
    for program in chosen:
        if (scratch / f"{program.name}.vmfb").exists():
            record(program, folder, scratch, problems)
    if any(program.cases or program.tests for program in programs):
        (scratch / "manifest.txt").write_text(manifest(programs))
    print(f"  {folder.name}: {len(chosen)} programs, {sum(len(p.cases) for p in chosen)} cases")


def manifest(programs):
    blocks = ["# Written by rebuild.py from the directives in the programs. Format: ../README.md"]
    blocks += [entry.block() for program in programs for entry in [*program.cases, *program.tests]]
    return "\n\n".join(blocks) + "\n"


def prepare(folder, scratch):
    """A scratch copy in which cases find their data files and the modules that are not rebuilt."""
    scratch.mkdir(parents=True)
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in ("expected", "__pycache__"):
            shutil.copytree(entry, scratch / entry.name)
        elif entry.suffix in (".npy", ".bin", ".vmfb"):
            shutil.copyfile(entry, scratch / entry.name)


def products(root):
    """What rebuild.py writes: modules, expectations, manifests."""
    found = set(root.glob("*.vmfb")) | set(root.glob("expected/*.txt")) | set(root.glob("manifest.txt"))
    return {path.relative_to(root) for path in found}


def drift(folder, scratch, complete):
    """Differences between the repository and a fresh build, as sentences."""
    ours, fresh = products(folder), products(scratch)
    lines = [f"{folder.name}/{path}: no longer produced by anything" for path in sorted(ours - fresh) if complete]
    lines += [f"{folder.name}/{path}: not in the repository" for path in sorted(fresh - ours)]
    for path in sorted(ours & fresh):
        if not filecmp.cmp(folder / path, scratch / path, shallow=False):
            lines.append(f"{folder.name}/{path}: differs from a fresh build")
    return lines


def install(folder, scratch, complete):
    """Moves a fresh build into the repository; a complete one also removes what nothing produces any more."""
    if complete:
        for path in products(folder) - products(scratch):
            (folder / path).unlink()
    for path in products(scratch):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(scratch / path, folder / path)


def rebuild_encoder(scratch, check):
    """models/encoder/tiny, by its own script. The last bits of its answer depend on who computes it, so that is not compared."""
    tiny = MODELS / "encoder" / "tiny"
    target = scratch if check else tiny
    subprocess.run([sys.executable, tiny.parent / "build.py", "--tiny", target], check=True, stdout=subprocess.DEVNULL)
    print("  encoder: 1 program")
    names = sorted(path.name for path in tiny.iterdir() if path.name != "expected.npy")
    same = [(target / name).exists() and filecmp.cmp(tiny / name, target / name, shallow=False) for name in names]
    return [f"encoder/tiny/{name}: differs from a fresh build" for name, is_same in zip(names, same) if not is_same]


def build_host(directory):
    """models/bench for this CPU: what figures are taken with."""
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted((MODELS / "bench").glob("*.mlir")):
        compile_program(read_program(source), directory / f"{source.stem}.vmfb", "host")
        print(f"  compiled {source.stem} for this CPU")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with a fresh build, change nothing")
    parser.add_argument("--train", action="store_true", help="train digits first")
    parser.add_argument("--host", type=pathlib.Path, metavar="DIR", help="only compile models/bench for this CPU into DIR")
    parser.add_argument("--older", type=pathlib.Path, metavar="BIN", help="first recompile programs/compat_3_12 with BIN/iree-compile")
    parser.add_argument("only", nargs="*", help="words; only programs whose name contains one")
    return parser.parse_args()


def main():
    chosen = arguments()
    if chosen.host:
        return build_host(chosen.host.resolve())
    if chosen.train:
        subprocess.run([sys.executable, MODELS / "digits" / "train.py"], check=True)
    os.environ["LC_ALL"] = "C"
    drifted, problems = [], []
    if chosen.older:
        drifted += rebuild_older(chosen.older.resolve(), chosen.check)
    with tempfile.TemporaryDirectory() as temporary:
        for name in FOLDERS:
            folder, scratch = MODELS / name, pathlib.Path(temporary) / name
            if not folder.is_dir():
                continue
            prepare(folder, scratch)
            if not chosen.only:
                for module in scratch.glob("*.vmfb"):
                    module.unlink()
            build_folder(folder, scratch, chosen.only, problems)
            if chosen.check:
                drifted += drift(folder, scratch, complete=not chosen.only)
            else:
                install(folder, scratch, complete=not chosen.only and not problems)
        if not chosen.only:
            drifted += rebuild_encoder(pathlib.Path(temporary) / "encoder", chosen.check)
    for line in problems + drifted:
        print(line)
    if chosen.check:
        print(f"{len(drifted)} files drifted" if drifted else "nothing drifted")
    return 1 if drifted or problems else 0


if __name__ == "__main__":
    sys.exit(main())
