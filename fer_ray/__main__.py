"""`python -m fer_ray` is `fer-ray`."""

from fer_ray.cli.app import main

main()
