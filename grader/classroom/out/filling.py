"""The part that filling in any platform's file has in common: points into one column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from grader.classroom.out.amounts import Mark, amount, rounded, written
from grader.classroom.out.form import FormError, listed
from grader.classroom.out.pairing import Pairing, named
from grader.classroom.out.sheet import Sheet
from grader.classroom.types import ClassReport, Grade

Changes = dict[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How points are written: times `factor`, with `places` decimals, halves away from zero."""

    factor: Decimal
    places: int
    mark: Mark

    def exact(self, final: float) -> Decimal:
        return Decimal(str(final)) * self.factor

    def points(self, final: float) -> Decimal:
        return rounded(self.exact(final), self.places)


def factor_of(whole: Decimal | None, report: ClassReport, named_as: str, file: str) -> Decimal:
    """Return what makes all points of the rules all of the platform's."""
    if whole is None or whole <= 0:
        fix = "Give the assignment its points on the platform and download the file again, or do without scaling."
        raise FormError(file, 0, f"there is no number of points to scale to in {named_as!r}", fix)
    if report.max_score <= 0:
        raise FormError(
            file, 0, "the rules give no points, so there is nothing to scale", "Give points in the rules file."
        )
    return whole / Decimal(str(report.max_score))


def graded_rows(pairing: Pairing, report: ClassReport) -> dict[int, Grade]:
    """Return the grades of the students that were found, by the index of their row."""
    by_id = {grade.student.id: grade for grade in report.grades}
    return {row: by_id[student.id] for row, student in pairing.students.items()}


def point_cells(sheet: Sheet, column: int, graded: Mapping[int, Grade], scoring: Scoring) -> Changes:
    """Return the cells that do not say yet what a student's final points are."""
    changes = {}
    for row, grade in graded.items():
        if grade.final is None:
            continue
        points = scoring.points(grade.final)
        if amount(sheet.rows[row].text(column)) != points:
            changes[row, column] = written(points, scoring.mark)
    return changes


def notes_of(graded: Mapping[int, Grade], scoring: Scoring, report: ClassReport) -> Iterator[str]:
    """Tell of students without points, or with those of before or without training, of scaling, and of rounding."""
    without = [named(grade.student) for grade in graded.values() if grade.final is None]
    if without:
        yield f"without points, left as they were: {listed(without)}"
    before = [named(grade.student) for grade in graded.values() if grade.earlier]
    if before:
        yield f"with a result from before, as they were not graded again yet: {listed(before)}"
    untrained = [named(grade.student) for grade in graded.values() if grade.untrained]
    if untrained:
        yield f"with the points of a model that was not trained yet: {listed(untrained)}"
    if scoring.factor != 1:
        whole = scoring.points(report.max_score)
        yield f"scaled: the rules' {report.max_score:g} points are {whole:f}"
    finals = [grade.final for grade in graded.values() if grade.final is not None]
    if any(scoring.exact(final) != scoring.points(final) for final in finals):
        yield f"rounded to {scoring.places} decimals, halves up"
