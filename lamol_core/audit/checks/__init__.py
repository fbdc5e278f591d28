"""The audit's checks, one file each.

Every command imports them, for their limits and parameters. So the large libraries that a check
computes with (scikit-learn, scipy, phonenumbers) are imported where it does.
"""
