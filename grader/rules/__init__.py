"""`rules.yaml` as frozen data: what a course asks for, and what each rule is worth. Rules are data, never code."""

from __future__ import annotations

from grader.rules.document import Mark, Problem, RulesError
from grader.rules.read import default_path, read_rules, rules_files
from grader.rules.types import CheckUse, Input, Rule, Rules

__all__ = [
    "CheckUse",
    "Input",
    "Mark",
    "Problem",
    "Rule",
    "Rules",
    "RulesError",
    "default_path",
    "read_rules",
    "rules_files",
]
