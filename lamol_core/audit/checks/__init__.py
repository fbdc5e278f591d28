"""The audit's checks, one file each.

Every command imports these files for their limits and parameters. To keep the commands fast, a
check imports large libraries (scikit-learn, scipy, phonenumbers) in the function that uses them.
"""
