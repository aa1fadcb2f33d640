const EPOCH = 1n << 32n;
const HALF = 1n << 31n;

/**
 * The xid8 of a 32-bit xid: the one nearest to a reference xid8. pgoutput sends 32 bits without the epoch; running
 * transactions lie within 2^31 of each other, or the server would have stopped for wraparound.
 */
export function widenXid(xid32: number, reference: bigint): bigint {
  const xid = reference - (reference % EPOCH) + BigInt(xid32);
  if (xid - reference > HALF) return xid >= EPOCH ? xid - EPOCH : xid;
  return reference - xid > HALF ? xid + EPOCH : xid;
}
