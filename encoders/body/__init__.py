"""From joints, or a motion representation, to a body with a skin. Enter through `body_mesh.py`."""
