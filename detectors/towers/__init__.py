"""Vision towers that others trained on much, with a head that judges: published ones, and any by a folder."""
