/**
 * The proleptic Gregorian calendar that PostgreSQL counts in, with astronomical years (0 is 1 BC). JavaScript's Date ends
 * at year 275760 and knows no microseconds; PostgreSQL's dates reach from 4714 BC to 5874897 AD.
 */
export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Days from 0000-03-01, where the four-hundred-year cycle of the algorithm begins, to 2000-01-01, PostgreSQL's epoch. */
const EPOCH = 730_425;
const CYCLE = 146_097;

/** Days since 2000-01-01. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year; // years begin in March, so that a leap day is a year's last
  const cycle = Math.floor(y / 400);
  const yearOfCycle = y - cycle * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return cycle * CYCLE + yearOfCycle * 365 + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100) + dayOfYear - EPOCH;
}

/** The date that lies `days` days after 2000-01-01. */
export function civilFromDays(days: number): CivilDate {
  const shifted = days + EPOCH;
  const cycle = Math.floor(shifted / CYCLE);
  const dayOfCycle = shifted - cycle * CYCLE;
  const yearOfCycle = Math.floor(
    (dayOfCycle - Math.floor(dayOfCycle / 1460) + Math.floor(dayOfCycle / 36_524) - Math.floor(dayOfCycle / 146_096)) / 365,
  );
  const dayOfYear = dayOfCycle - (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}

/** Days of a month, 0 when there is no such month. */
export function daysOfMonth(year: number, month: number): number {
  if (month < 1 || month > 12) return 0;
  const next = month === 12 ? daysFromCivil(year + 1, 1, 1) : daysFromCivil(year, month + 1, 1);
  return next - daysFromCivil(year, month, 1);
}
