"""The directives at the top of a program: how it is compiled and with what it is run.

A directive is a line that starts with `//! `. README.md lists them. What does not live here: compiling and running (rebuild.py).
"""

import dataclasses
import pathlib
import re

CASE = re.compile(r"(?P<kind>case|failing case) (?P<name>[a-z0-9_]+): (?P<function>[\w.$]*)\((?P<inputs>.*)\)$")


@dataclasses.dataclass
class Case:
    """One call and what is expected of it."""

    name: str
    program: str
    modules: list
    function: str
    inputs: list
    tolerance: str
    expect_exit: int
    run_flags: list
    error: str = ""
    differs: str = ""

    def block(self):
        """This case as it stands in manifest.txt."""
        lines = [f"case: {self.name}", f"program: {self.program}"]
        lines += [f"module: {module}" for module in self.modules]
        lines += [f"function: {self.function}"] if self.function else []
        lines += [f"input: {text}" for text in self.inputs]
        lines += [f"flag: {text}" for text in self.run_flags]
        lines += [f"tolerance: {self.tolerance}", f"expect_exit: {self.expect_exit}"]
        lines += [f"error: {self.error}"] if self.error else []
        lines += [f"reference_differs: {self.differs}"] if self.differs else []
        return "\n".join(lines)


@dataclasses.dataclass
class Test:
    """One function of a test module, or the whole module when it is refused."""

    name: str
    module: str
    outcome: str
    messages: list

    def block(self):
        """This test as it stands in manifest.txt."""
        lines = [f"test: {self.name}", f"module: {self.module}", f"outcome: {self.outcome}"]
        return "\n".join(lines + [f"message: {text}" for text in self.messages])


@dataclasses.dataclass
class Program:
    """One source file."""

    name: str
    source: pathlib.Path
    flags: list
    cases: list
    tests: list
    declares_device: bool = False


def read_program(source):
    """Reads the directives of `source`."""
    program = Program(source.stem, source, [], [], [])
    tolerance, modules, run_flags = "exact", [f"{source.stem}.vmfb"], []
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if not line.startswith("//! "):
            continue
        key, _, value = line[4:].partition(": ")
        found = CASE.match(line[4:])
        if found:
            inputs = [text.strip() for text in found["inputs"].split(";")] if found["inputs"] else []
            code = 1 if found["kind"] == "failing case" else 0
            case = Case(found["name"], source.stem, modules, found["function"], inputs, tolerance, code, run_flags)
            program.cases.append(case)
        elif key in ("passes", "fails"):
            program.tests.append(Test(value, f"{source.stem}.vmfb", key, []))
        elif key == "refused":
            program.tests.append(Test("*", f"{source.stem}.vmfb", key, [value]))
        elif key == "message" and program.tests:
            program.tests[-1].messages.append(value)
        elif key == "flags":
            program.flags += value.split()
        elif (key, value) == ("device", "declared"):
            program.declares_device = True
        elif key == "modules":
            modules = value.split()
        elif key == "tolerance":
            tolerance = value
        elif key == "run flags":
            run_flags = [] if value == "none" else value.split()
        elif key == "error" and program.cases:
            program.cases[-1].error = value
        elif key == "reference differs" and program.cases:
            program.cases[-1].differs = value
        else:
            raise SystemExit(f"{source}:{number}: unknown directive {line!r}")
    return program
