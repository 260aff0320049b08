"""What the gate tried is said at the end of the run, whichever process tried it."""

from __future__ import annotations


def pytest_terminal_summary(terminalreporter):
    said = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "kill points" and report.when == "call"
    ]
    if said:
        terminalreporter.section("the flow gate")
        for line in sorted(said):
            terminalreporter.write_line(line)
