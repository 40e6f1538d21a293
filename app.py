"""Starts the chat page: `python app.py --help`. The same as `motionqa app`."""

import tyro

from motionqa.cli.app import app

if __name__ == "__main__":
    tyro.cli(app)
