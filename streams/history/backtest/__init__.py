"""Back-tests: what a policy would have said on labelled history, and what that would have been worth.

`labels` says what is known to have happened and when to decide, `asof` plays the events and stops at each decision,
`outcomes`, `curves`, `monthly` and `segments` measure, `resample` gives the intervals, `report` writes it all down.
"""
