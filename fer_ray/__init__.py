"""Distributed hyperparameter search for facial emotion recognition.

The rooms, each importing lower levels only (see docs/decisions/):

    errors, files, objective, pixels, shipped    level 0
    data, spaces, results, registry              level 1
    training, export                             level 2
    search (Ray Tune), serving (Ray Serve)       level 3
    cli                                          level 5
"""

__version__ = "0.1.0"
