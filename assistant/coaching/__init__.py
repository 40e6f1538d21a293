"""A critique of a movement: rules that a coach can read, findings, and their wording. Enter through `coach.py`."""
