"""Calibration: the points of a scorecard, fitted on labelled history and measured on borrowers it did not see.

`collecting` plays the events and notes the characteristics as of each decision, `fitting` finds bands and weights,
`card` turns them into whole points, `document` says them to a person, `judging` holds before against after.
"""
