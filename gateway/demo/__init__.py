"""Three agencies on one machine, and four referrals between them, for people to see and tests to lean on."""
