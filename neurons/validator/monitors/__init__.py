"""What lets somebody watch a validator from outside, without its waiting for them."""
