"""From joints in space to a motion report in numbers and words. Enter through `analyse.py` and `describe.py`."""
