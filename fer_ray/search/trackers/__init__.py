"""Experiment trackers that are told of each epoch while a sweep runs."""

from fer_ray.search.trackers.tracking import Tracker, Tracking, open_trackers

__all__ = ["Tracker", "Tracking", "open_trackers"]
