import type { DecodeText } from '../domain/pgoutput.ts';

/**
 * The encodings that a server may have and the decoder's label for each, where they differ from UTF-8. SQL_ASCII is read as UTF-8, as
 * the driver reads every other session. https://www.postgresql.org/docs/current/multibyte.html#MULTIBYTE-CHARSET-SUPPORTED
 */
const LABELS: Readonly<Record<string, string>> = {
  EUC_CN: 'gb18030',
  EUC_JP: 'euc-jp',
  EUC_KR: 'euc-kr',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN5: 'windows-1254',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
};

/** Decodes names that come in a PostgreSQL encoding. Values are never decoded. */
export function textDecoderFor(encoding: string): DecodeText {
  if (encoding === 'LATIN1') return (data, start, end) => data.toString('latin1', start, end);
  const label = LABELS[encoding];
  if (label === undefined) return (data, start, end) => data.toString('utf8', start, end);
  const decoder = new TextDecoder(label);
  return (data, start, end) => decoder.decode(data.subarray(start, end));
}
