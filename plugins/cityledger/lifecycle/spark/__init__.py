"""Standardise on a distributed engine that speaks Spark Connect (Apache Spark, Sail).

The engine reads the validated objects, computes and writes every table as Parquet into the lake's
bucket; DuckLake then takes the files over in one commit. No row passes through this process.
"""
