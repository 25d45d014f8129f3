"""The stage of `ews demo`: its directory, its processes, what they tell while they run, what came of it.

What they are processes of is decided in `streams.bootstrap.demo`.
"""
