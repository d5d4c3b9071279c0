"""The command line: what each call prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samples import LINEAR, graded, result, rule, rules, submission

from grader import cli
from grader.cli import outcome, output
from grader.protocol import Progress
from grader.render import FORMATS
from grader.report import UNUSED, Obstacle, Report, error_report, graded_report, read_report
from grader.sandbox import SandboxError

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
USAGE = "Usage: s5-grade [OPTIONS] PATH"


def passing() -> Report:
    return graded_report(rules(rule("a", "linear")), submission(), graded(result("linear")), UNUSED, trained=False)


def failing() -> Report:
    results = graded(result("linear", "fail", LINEAR.message, LINEAR))
    return graded_report(rules(rule("a", "linear")), submission(), results, UNUSED, trained=False)


def ungraded(code: str = "syntax") -> Report:
    return error_report(rules(), submission(), Obstacle(code, "what happened"))


class Grader:
    """Stands in for `grade`: notes how it is called, and returns or raises what it was made with."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *positional: Any, on_progress: Any, **options: Any) -> Any:
        self.calls.append((positional, options))
        on_progress(Progress(1, 2, 1, 8, 0.5, 2.3))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("S5_GRADE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def grading(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> Grader:
    played = Grader(outcome)
    monkeypatch.setattr("grader.grade.grade", played)
    return played


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


EXIT_CODES = [(passing, 0), (failing, 1), (ungraded, 3), (lambda: ungraded("internal"), 4)]


@pytest.mark.parametrize(("report", "expected"), EXIT_CODES)
def test_exit_codes(here: Path, monkeypatch: Any, capsys: Any, report: Any, expected: int) -> None:
    grading(monkeypatch, report())
    assert called(capsys, "model.py", "--format", "concise")[0] == expected


def test_a_report_goes_to_stdout_and_progress_to_stderr(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, passing())
    code, out, err = called(capsys, "model.py")
    assert code == 0
    assert out == (
        "Checked model.py (class Net) against rules.yaml\n\nok[a]: linear is pass\n\n1 passed. 20 of 20 points.\n"
    )
    assert err == "training, short stage, epoch 1 of 2, 0 s\n"


def test_further_forms_go_to_files(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, failing())
    code, out, _ = called(capsys, "model.py", "--format", "concise", "--also", "json=r.json", "--also", "text=a=b.txt")
    assert (code, out) == (1, "model.py:10:16: error[a] a linear layer makes the prediction\n")
    assert read_report((here / "r.json").read_bytes()) == failing()
    assert (here / "a=b.txt").read_text().splitlines()[-1] == "1 failed. 0 of 20 points."


def test_a_saved_report_is_rendered_again(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, failing())
    expected = called(capsys, "model.py")[1]
    called(capsys, "model.py", "--format", "json", "--output", "r.json")
    assert called(capsys, "render", "r.json") == (0, expected, "")
    assert called(capsys, "render", "r.json", "--format", "text", "--output", "r.txt") == (0, "", "")
    assert (here / "r.txt").read_text() == expected


NO_REPORTS = {
    "nothing there": (None, "r.json: No such file or directory"),
    "no JSON": (b"{", "r.json: not a report of s5-grade as --format json writes it: Input data was truncated"),
    "not UTF-8": (b'{"schema": 1, "verdict": "\xff"}', None),
    "something else": (
        b"[]",
        "r.json: not a report of s5-grade as --format json writes it: Expected `object`, got `array`",
    ),
    "another schema": (b'{"schema": 2}', "r.json: a report of schema 2; this version of s5-grade reads schema 1"),
    "a part of one": (
        b'{"schema": 1}',
        "r.json: not a report of s5-grade as --format json writes it: Object missing required field `verdict`",
    ),
}


@pytest.mark.parametrize(("data", "message"), NO_REPORTS.values(), ids=NO_REPORTS)
def test_what_is_no_report(here: Path, capsys: Any, data: bytes | None, message: str | None) -> None:
    if data is not None:
        (here / "r.json").write_bytes(data)
    code, out, err = called(capsys, "render", "r.json")
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert message is None or err.splitlines()[-1] == f"Error: {message}"


def test_formats(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, failing())
    outputs = {form: called(capsys, "model.py", "--format", form)[1] for form in FORMATS}
    assert outputs["text"] == outputs["terminal"]
    assert outputs["concise"] == "model.py:10:16: error[a] a linear layer makes the prediction\n"
    assert json.loads(outputs["json"])["verdict"] == "fail"


def test_options_reach_the_grader(here: Path, monkeypatch: Any, capsys: Any) -> None:
    played = grading(monkeypatch, passing())
    line = (
        "--rules r.yaml --file b.py --class Net --arg a=1 --arg b=x=y --train --seed 7 --budget 60 --device cuda "
        "--sandbox strict --threads 3 --timeout 5 folder"
    )
    assert called(capsys, *line.split())[0] == 0
    assert called(capsys, "model.py")[0] == 0
    default = {"rules": None, "file": None, "class_name": None, "arguments": {}, "train": False, "seed": 1}
    assert played.calls == [
        (
            (),
            {
                "path": "folder",
                "rules": "r.yaml",
                "file": "b.py",
                "class_name": "Net",
                "arguments": {"a": "1", "b": "x=y"},
                "train": True,
                "seed": 7,
                "budget": 60.0,
                "device": "cuda",
                "threads": 3,
                "timeout": 5.0,
                "sandbox": "strict",
            },
        ),
        (
            (),
            {
                "path": "model.py",
                **default,
                "budget": None,
                "device": "cpu",
                "threads": 1,
                "timeout": 60.0,
                "sandbox": "auto",
            },
        ),
    ]


@pytest.mark.parametrize(("value", "level"), [("true", "strict"), ("1", "strict"), ("false", "auto"), ("", "auto")])
def test_where_nobody_looks_the_sandbox_must_be_sealed(
    here: Path, monkeypatch: Any, capsys: Any, value: str, level: str
) -> None:
    played = grading(monkeypatch, passing())
    monkeypatch.setenv("CI", value)
    called(capsys, "model.py")
    called(capsys, "model.py", "--sandbox", "off")
    assert [options["sandbox"] for _, options in played.calls] == [level, "off"]


WRONG = {
    "an argument without a value": (
        ["model.py", "--arg", "classes"],
        "Error: Invalid value for '--arg': 'classes' is not KEY=VALUE, such as classes=10.",
    ),
    "an argument that is no name": (
        ["model.py", "--arg", "2=3"],
        "Error: Invalid value for '--arg': '2=3' is not KEY=VALUE, such as classes=10.",
    ),
    "no time": (["model.py", "--timeout", "0"], "Error: Invalid value for '--timeout': 0.0 is not in the range x>0."),
    "two paths": (["a.py", "b.py"], "Error: Got unexpected extra argument (b.py)"),
    "no path": (["--train"], "Error: Missing argument 'PATH'."),
    "an output that is a folder": (["model.py", "--output", "."], "Error: . is a folder, expected a file"),
    "a further form in no folder": (
        ["model.py", "--also", "json=no/r.json"],
        "Error: no/r.json: there is no folder no",
    ),
    "a further form without a file": (
        ["model.py", "--also", "json"],
        "Error: Invalid value for '--also': 'json' is not FORMAT=FILE, such as html=report.html.",
    ),
    "an output in no folder": (
        ["model.py", "--output", "no/r.json"],
        "Error: no/r.json: there is no folder no",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_command_lines(here: Path, monkeypatch: Any, capsys: Any, arguments: list[str], message: str) -> None:
    played = grading(monkeypatch, passing())
    code, out, err = called(capsys, *arguments)
    lines = err.splitlines()
    assert (code, out, lines[0], played.calls) == (2, "", USAGE, [])
    assert lines[-1] == message


def test_an_unknown_option(here: Path, capsys: Any) -> None:
    code, out, err = called(capsys, "model.py", "--tran")
    assert (code, out, err.splitlines()[0], "--tran" in err.splitlines()[-1]) == (2, "", USAGE, True)


def test_nothing_at_all_shows_the_help(here: Path, capsys: Any) -> None:
    code, out, err = called(capsys)
    assert (code, out, err) == (2, called(capsys, "--help")[1], "")
    assert out.startswith(
        "Usage: s5-grade [OPTIONS] PATH\n\n  Grade a PyTorch model: PATH is a Python file, a notebook"
    )


def test_faulty_rules(here: Path, capsys: Any) -> None:
    (here / "r.yaml").write_text("rules:\n- id: a\n  checks: [dropuot]\n- id: b\n  levl: note\n  checks: [linear]\n")
    assert called(capsys, "absent.py", "--rules", "r.yaml") == (
        2,
        "",
        (
            "r.yaml:3:12: unknown check 'dropuot': did you mean 'dropout'?\n"
            "r.yaml:5:3: unknown key 'levl' in a rule: did you mean 'level'?\n"
        ),
    )
    assert called(capsys, "absent.py", "--rules", "gone.yaml") == (2, "", "gone.yaml: there is no such file\n")


def test_what_a_submission_cannot_be(here: Path, capsys: Any) -> None:
    (here / "folder").mkdir()
    (here / "empty.py").touch()
    (here / "notes.txt").touch()
    (here / "two").mkdir()
    for name in ("a.py", "b.py"):
        (here / "two" / name).write_text("class Net(nn.Module): pass")
    found = {
        path: called(capsys, path, "--format", "text")
        for path in ("absent.py", "folder", "empty.py", "notes.txt", "two")
    }
    assert found == {
        "absent.py": (3, "error[missing]: there is no file 'absent.py'\n\nabsent.py was not graded.\n", ""),
        "folder": (
            3,
            (
                "error[no-model]: folder holds no Python file and no notebook\n"
                "  fix: Add the file with the model.\n\nfolder was not graded.\n"
            ),
            "",
        ),
        "empty.py": (
            3,
            "error[empty]: empty.py is empty\n  fix: Save the file, then grade it again.\n\nempty.py was not graded.\n",
            "",
        ),
        "notes.txt": (
            3,
            (
                "error[file-type]: notes.txt is neither a Python file (.py) nor a notebook (.ipynb)\n\n"
                "notes.txt was not graded.\n"
            ),
            "",
        ),
        "two": (
            3,
            (
                "error[ambiguous]: 2 files in two may hold the model\n  fix: Name the one to grade.\n"
                "  try: --file a.py\n       --file b.py\n\ntwo was not graded.\n"
            ),
            "",
        ),
    }


def test_an_output_file_is_written_whole(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, failing())
    (here / "r.json").write_text("old")
    assert called(capsys, "model.py", "--format", "json", "--output", "r.json")[:2] == (1, "")
    assert json.loads((here / "r.json").read_text(encoding="utf-8"))["verdict"] == "fail"
    assert [path.name for path in here.iterdir()] == ["r.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert (here / "r.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_failed_write_leaves_the_old_file(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, failing())
    (here / "r.txt").write_text("old")

    def replace(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", replace)
    code, out, err = called(capsys, "model.py", "--output", "r.txt")
    assert (code, out, err.splitlines()[-1]) == (4, "", "s5-grade: No space left on device: r.txt")
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [("r.txt", "old")]


def test_layers(here: Path, monkeypatch: Any, capsys: Any) -> None:
    played = grading(monkeypatch, failing())
    code, out, _ = called(capsys, "layers", "model.py", "--class", "Net")
    assert code == 0
    assert out.splitlines()[0].split() == ["operator", "module", "output", "parameters", "MACs"]
    assert (played.calls[0][1]["path"], played.calls[0][1]["train"]) == ("model.py", False)
    grading(monkeypatch, ungraded())
    assert called(capsys, "layers", "model.py")[:2] == (3, "error[syntax]: what happened\n\nmodel.py was not graded.\n")


def test_a_file_that_is_called_like_a_command(here: Path, monkeypatch: Any, capsys: Any) -> None:
    played = grading(monkeypatch, passing())
    assert called(capsys, "./layers")[0] == 0
    assert played.calls[0][1]["path"] == "./layers"


def test_checks(here: Path, capsys: Any) -> None:
    code, out, err = called(capsys, "checks")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == sorted(
        path.stem.replace("_", "-") for path in (ROOT / "grader" / "checks").glob("[a-z]*.py")
    )


def test_explain(here: Path, capsys: Any) -> None:
    code, out, err = called(capsys, "explain", "dropout")
    assert (code, err, out.splitlines()[0]) == (0, "", "# dropout")
    code, out, err = called(capsys, "explain", "gap-no-linear")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("# ") and " " not in line[2:]] == [
        "# global-average-pool",
        "# linear",
    ]


def test_explain_a_rule_of_another_file(here: Path, capsys: Any) -> None:
    (here / "own.yaml").write_text("rules:\n  - id: mine\n    checks: [linear]\n")
    linear = called(capsys, "explain", "linear")
    assert linear[0] == 0
    assert called(capsys, "explain", "mine", "--rules", "own.yaml") == linear
    assert called(capsys, "explain", "mine")[0] == 2


def test_explain_what_there_is_not(here: Path, capsys: Any) -> None:
    code, out, err = called(capsys, "explain", "dropuot")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "Error: there is no check and no rule 'dropuot': did you mean 'dropout'?"
    err = called(capsys, "explain", "gap")[2]
    assert err.splitlines()[-1] == "Error: there is no check and no rule 'gap': did you mean 'gap-no-linear'?"


def test_a_fault_of_ours_is_one_line(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, KeyError("what\x1b"))
    code, out, err = called(capsys, "model.py")
    assert (code, out) == (4, "")
    assert err.splitlines()[1:] == [
        "s5-grade: a fault of s5-grade: KeyError: 'what\\x1b'",
        "s5-grade: please report it, with the file that it was given; S5_GRADE_DEBUG=1 shows where it happened",
    ]
    monkeypatch.setenv("S5_GRADE_DEBUG", "1")
    assert "Traceback (most recent call last):" in called(capsys, "model.py")[2].splitlines()


def test_processes_that_cannot_be_started(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, SandboxError("no process can be forked"))
    code, out, err = called(capsys, "model.py")
    assert (code, out, err.splitlines()[1:]) == (4, "", ["s5-grade: no process can be forked"])


def test_an_interrupt(here: Path, monkeypatch: Any, capsys: Any) -> None:
    grading(monkeypatch, KeyboardInterrupt())
    code, out, err = called(capsys, "model.py")
    assert (code, out, err.splitlines()[-1]) == (130, "", "s5-grade: interrupted")


def test_colours_ask_for_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    stream: Any = Terminal()
    found = {}
    for variable, value in (("TERM", "xterm"), ("TERM", "dumb"), ("NO_COLOR", "1"), ("NO_COLOR", "")):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv(variable, value)
        found[variable, value] = output.colour_on(stream)
    assert found == {("TERM", "xterm"): True, ("TERM", "dumb"): False, ("NO_COLOR", "1"): False, ("NO_COLOR", ""): True}


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=60,
        **options,
    )


def test_the_front_knows_no_torch() -> None:
    modules = "cli grade manifest obstacles report rules sandbox settings"
    modules += " render.terminal render.concise render.document render.layers render.page"
    names = ", ".join(f"grader.{name}" for name in modules.split())
    done = python(f"import {names}, sys; print('torch' in sys.modules, 'numpy' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_help_loads_next_to_nothing() -> None:
    code = "import sys; from grader import cli; cli.run(['--help']); print(*sys.modules, file=sys.stderr)"
    loaded = set(python(code).stderr.split())
    assert "click" in loaded
    assert loaded & {"torch", "numpy", "rich", "yaml", "msgspec", "grader.grade", "grader.report"} == set()


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = [sys.executable, "-m", "grader.cli", "explain", "linear"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_disk_that_is_full_is_no_fault_of_ours() -> None:
    command = [sys.executable, "-m", "grader.cli", "explain", "linear"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd=ROOT, check=False)
    expected = b"s5-grade: No space left on device: the standard output\n"
    assert (done.returncode, done.stderr) == (outcome.INTERNAL, expected)


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors with a shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(tmp_path: Path, closed: str) -> None:
    output = tmp_path / "report.txt"
    command = f'"{sys.executable}" -m grader.cli {tmp_path}/absent.py --output {output} {closed}'
    done = subprocess.run(["sh", "-c", command], env=ENVIRONMENT, cwd=ROOT, check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (outcome.UNGRADED, b"", b"")
    assert output.read_text().splitlines()[-1] == f"{tmp_path}/absent.py was not graded."


def test_a_terminal_without_unicode() -> None:
    code = "import sys; from grader import cli; sys.argv = ['s5-grade', 'explain', 'linear']; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout.isascii()) == (0, b"", True)


def test_ctrl_c_ends_a_whole_run(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import time\n\nclass Net:\n    pass\n")
    code = (
        "import os, signal, sys, grader.grade; from grader import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started without it\n"
        "def grade(**options): os.kill(os.getpid(), signal.SIGINT); signal.pause()\n"
        "grader.grade.grade = grade; sys.argv = ['s5-grade', 'model.py']; cli.main()"
    )
    done = python(code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "s5-grade: interrupted")
    assert signal.SIGINT == 2
