"""Reports: one self-contained HTML page of texts, tables and figures, and the figures of a sweep.

`page` knows nothing of sweeps; `course` draws a sweep's tables over time, `searched` an Optuna study's trials over
the space. What a page says of a sweep is put together in `fer_ray.search.report`.
"""
