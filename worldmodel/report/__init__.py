"""The report: one page for people, one file of figures for machines, one short table for the terminal."""

from worldmodel.report.notes import standing_note
from worldmodel.report.page import REPORT_FILES, write_report
from worldmodel.report.summary import summarise
from worldmodel.report.tables import summary_table

__all__ = ["REPORT_FILES", "standing_note", "summarise", "summary_table", "write_report"]
