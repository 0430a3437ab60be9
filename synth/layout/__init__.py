"""The parts of a report: its parameters, tables, lettering and page."""
