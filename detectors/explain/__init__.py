"""Why a detector answers as it does: heat maps, answers over time, and the test that a map is faithful."""
