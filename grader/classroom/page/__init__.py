"""The class as pages: one for the instructor, and one for each student."""

from __future__ import annotations

from grader.classroom.page.overview import class_page
from grader.classroom.page.write import PagesError, Written, refuse_foreign, student_page, write_pages

__all__ = ["PagesError", "Written", "class_page", "refuse_foreign", "student_page", "write_pages"]
