"""The second hop: what borrowers have in common, judged once a day. Pure, like all of the engine."""
