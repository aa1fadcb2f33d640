import { describe, expect, it } from 'vitest';
import { bindIdentifiers, loadSql } from '../../src/sql/load.ts';

describe('loadSql', () => {
  it('gives the text without the closing semicolon', () => {
    const text = loadSql('session/pin');
    expect(text).toMatch(/^-- /);
    expect(text.endsWith(';')).toBe(false);
  });

  it.each(['../package', 'session', 'session/PIN', '/etc/passwd'])('takes no other path: %s', (name) => {
    expect(() => loadSql(name)).toThrow(expect.objectContaining({ code: 'DEFECT' }));
  });
});

describe('bindIdentifiers', () => {
  it.each([
    ['select :"key" from :"source"', { key: 'Id', source: { schema: 'S"x', name: 'T' } }, 'select "Id" from "S""x"."T"'],
    ['select s.:"key"', { key: 'order' }, 'select s."order"'],
    ['select x::"char", y::pg_catalog.:"type"', { type: 'int8' }, 'select x::"char", y::pg_catalog."int8"'],
    ['select :"a":"a"', { a: '$&' }, 'select "$&""$&"'],
    ['select 1', { unused: 'x' }, 'select 1'],
  ])('%s', (sql, names, expected) => {
    expect(bindIdentifiers(sql, names)).toBe(expected);
  });

  it('takes a missing name for a defect, a name of Object.prototype too', () => {
    expect(() => bindIdentifiers('select :"key"', {})).toThrow(/:"key" is not bound/);
    expect(() => bindIdentifiers('select :"toString"', {})).toThrow(/is not bound/);
  });
});
