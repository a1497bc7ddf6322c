"""What people read of a sweep: its report, and several sweeps side by side.

`facts` gathers what is known of a sweep, `page`, `answer` and `details` say what stands where on its page;
`fer_ray.results.report` draws and renders.
"""

from fer_ray.search.report.comparison import ComparedSweep, Comparison
from fer_ray.search.report.comparison_page import interval_text
from fer_ray.search.report.reproduction import reproduction
from fer_ray.search.report.writing import SweepReport, compare, make_report

__all__ = [
    "ComparedSweep",
    "Comparison",
    "SweepReport",
    "compare",
    "interval_text",
    "make_report",
    "reproduction",
]
