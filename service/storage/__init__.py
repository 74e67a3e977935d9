"""Where the bytes lie: the only package that builds a path or opens a stored file.

What the bytes mean is not known here: the engine writes and reads Parquet through what this
package hands out, and the catalog remembers which keys exist.
"""
