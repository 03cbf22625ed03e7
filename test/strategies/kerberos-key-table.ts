/** Key tables (MIT's file format 2) with changes that no tool of today would make. */

/** A key table with another encryption type for each key: single DES, say, which no library of today knows. */
export function withKeyType(keytab: Buffer, type: number): Buffer {
	for (let start = 2; start < keytab.length; start += 4 + keytab.readInt32BE(start)) {
		let position = start + 6;
		// The realm and the components of the name.
		for (let left = 1 + keytab.readUInt16BE(start + 4); left > 0; left--) {
			position += 2 + keytab.readUInt16BE(position);
		}
		keytab.writeUInt16BE(type, position + 9);
	}
	return keytab;
}
