"""Experiment trackers that are told of each epoch while a sweep runs."""

from fer_ray.search.trackers.opening import check_trackers, open_trackers
from fer_ray.search.trackers.tracking import Tracker, Tracking

__all__ = ["Tracker", "Tracking", "check_trackers", "open_trackers"]
