"""The prediction matrix: every answer of an evaluation as a parquet file that anybody can recompute its report from."""
