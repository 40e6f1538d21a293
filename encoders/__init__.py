"""From a clip to what was measured in it: poses, three-dimensional joints, angles, repetitions, words."""
