"""A page to look at: what a network makes of one photo, in one file that needs nothing else."""

from .page import Report as Report, report as report
