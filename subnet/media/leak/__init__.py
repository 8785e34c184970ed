"""Whether anything but the picture gives its label away: container, challenge and appearance."""
