"""The longer questions that are asked of the tables."""

from __future__ import annotations

# A result is only replaced by one that is no worse: what failed through no fault of the submission is tried again, and
# that may fail where it went well before.
RECORD = """
    INSERT INTO results (key, failed, seconds, run, report, likeness) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET failed = excluded.failed, seconds = excluded.seconds, run = excluded.run,
        recorded = excluded.recorded, report = excluded.report, likeness = excluded.likeness
    WHERE excluded.failed <= results.failed
"""

# Of the keys tied to an attempt, the last one that has a result counts: a training that is under way, or failed through
# no fault of the submission, does not hide what is known without it. What the run before tied counts for nothing beside
# a result of this one. Lacking any result, the last one is awaited. The question is the first run that is not before.
TRIED = """
    WITH ranked AS (
        SELECT student, number, ties.key, sha256, earlier, row_number() OVER (
            PARTITION BY student, number ORDER BY results.key IS NULL, earlier, results.failed, place DESC
        ) AS rank
        FROM ties LEFT JOIN results ON results.key = ties.key
    )
    SELECT attempts.student, attempts.number, form, ranked.key, sha256, report, seconds, earlier OR run < ?
    FROM attempts
    LEFT JOIN ranked ON ranked.student = attempts.student AND ranked.number = attempts.number AND rank = 1
    LEFT JOIN results ON results.key = ranked.key
    ORDER BY attempts.student, attempts.number
"""
