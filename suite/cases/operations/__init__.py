"""Operations: what a case computes, one file each."""
