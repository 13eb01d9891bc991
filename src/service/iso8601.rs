//! Reads moments in the forms of ISO 8601 that Zaqar takes.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, TimeDelta};

/// The moment that `text` means, in UTC and in whole seconds; `None` if it
/// means none.
///
/// A date is needed, of which month and day may be missing; then, behind a `T`
/// or a blank, a time, of which minutes and seconds may be missing; then `Z`
/// or an offset, without which it is UTC. Hyphens and colons may be left out;
/// a fraction of a second is dropped.
#[must_use]
pub fn parse(text: &str) -> Option<NaiveDateTime> {
    let mut rest = Rest(text);
    let date = date(&mut rest)?;
    let moment = if rest.0.is_empty() {
        date.and_hms_opt(0, 0, 0)?
    } else {
        rest.skip(&['T', ' ']).then_some(())?;
        let (hour, minute, second) = time(&mut rest)?;
        let offset = offset(&mut rest)?;
        date.and_hms_opt(hour, minute, second)?.checked_sub_signed(offset)?
    };
    // An offset can lead out of the years that have four digits.
    let is_printable = (0..=9999).contains(&moment.year());
    (rest.0.is_empty() && is_printable).then_some(moment)
}

fn date(rest: &mut Rest<'_>) -> Option<NaiveDate> {
    let year = i32::try_from(rest.number(4, 4)?).ok()?;
    let month = if rest.skip(&['-']) { Some(rest.number(1, 2)?) } else { rest.number(2, 2) };
    let day = match month {
        None => None,
        Some(_) if rest.skip(&['-']) => Some(rest.number(1, 2)?),
        Some(_) => rest.number(2, 2),
    };
    NaiveDate::from_ymd_opt(year, month.unwrap_or(1), day.unwrap_or(1))
}

fn time(rest: &mut Rest<'_>) -> Option<(u32, u32, u32)> {
    let hour = rest.number(2, 2)?;
    let Some(minute) = rest.after(':', 2, 2) else { return Some((hour, 0, 0)) };
    let Some(second) = rest.after(':', 1, 2) else { return Some((hour, minute, 0)) };
    if rest.skip(&['.', ',']) {
        let digits = rest.0.bytes().take_while(u8::is_ascii_digit).count();
        rest.0 = rest.0.get(digits.max(1)..)?;
    }
    Some((hour, minute, second))
}

fn offset(rest: &mut Rest<'_>) -> Option<TimeDelta> {
    if rest.0.is_empty() || rest.skip(&['Z']) {
        return Some(TimeDelta::zero());
    }
    let sign = if rest.skip(&['-']) { -1 } else { i64::from(rest.skip(&['+'])) };
    let hours = i64::from(rest.number(2, 2)?);
    let minutes = i64::from(rest.after(':', 2, 2).unwrap_or(0));
    (sign != 0).then(|| TimeDelta::minutes(sign * (hours * 60 + minutes)))
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Steps over one of these characters if it comes next.
    fn skip(&mut self, any: &[char]) -> bool {
        let found = self.0.strip_prefix(any);
        self.0 = found.unwrap_or(self.0);
        found.is_some()
    }

    /// As many digits as come next, at most `most`; `None` if fewer than `least`.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at_checked(digits).filter(|_| digits >= least)?;
        self.0 = rest;
        number.parse().ok()
    }

    /// A number behind `mark`, which may be missing; reads nothing if there is none.
    fn after(&mut self, mark: char, least: usize, most: usize) -> Option<u32> {
        let before = self.0;
        self.skip(&[mark]);
        let number = self.number(least, most);
        if number.is_none() {
            self.0 = before;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn read(text: &str) -> Option<String> {
        parse(text).map(|moment| moment.format("%Y-%m-%dT%H:%M:%S").to_string())
    }

    #[test]
    fn forms_that_zaqar_takes() {
        for (text, moment) in [
            ("2030-01-02T03:04:05", "2030-01-02T03:04:05"),
            ("2030-01-02 03:04:05", "2030-01-02T03:04:05"),
            ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05"),
            ("2030-01-02T03:04:05.999999Z", "2030-01-02T03:04:05"),
            ("2030-01-02T03:04:05,9", "2030-01-02T03:04:05"),
            ("2030-01-02T03:04:05+02:00", "2030-01-02T01:04:05"),
            ("2030-01-02T03:04:05-0530", "2030-01-02T08:34:05"),
            ("2030-01-01T00:00:00+14", "2029-12-31T10:00:00"),
            ("2030-01-02T03:04", "2030-01-02T03:04:00"),
            ("2030-01-02T03", "2030-01-02T03:00:00"),
            ("2030-01-02T03-01", "2030-01-02T04:00:00"),
            ("20300102T030405", "2030-01-02T03:04:05"),
            ("2030-1-2", "2030-01-02T00:00:00"),
            ("2030-01", "2030-01-01T00:00:00"),
            ("2030", "2030-01-01T00:00:00"),
        ] {
            assert_eq!(read(text).as_deref(), Some(moment), "{text}");
        }
    }

    #[test]
    fn anything_else() {
        for odd in [
            "",
            "bad",
            "203",
            "2030-",
            "2030-01-",
            "2030-13-01",
            "2030-02-30",
            "2030-01-02T",
            "2030-01-02x03",
            "2030-01-02T24:00:00",
            "2030-01-02T03:60",
            "2030-01-02T03:04:60",
            "2030-01-02T03:04:05.",
            "2030-01-02T03:04:05X",
            "2030-01-02T03:04:05+1",
            "2030-01-02T03:04:05Zz",
            "2030-01-02Z",
            " 2030-01-02",
            "2030-01-02T03:04:05.é",
            "9999-12-31T23:59:59-01:00",
            "zweitausend",
            "２０３０-01-02",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
