"""Motion files of every common format, read into `Pose3D` or `PoseSequence`. Enter through `read.py`."""
