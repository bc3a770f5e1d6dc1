//! Reads formulas.
//!
//! From the loosest to the tightest there are `||`, `&&`, comparisons, `+ -`, `* / %`, `**`, and `! -` before a value. All
//! operators between two values go from left to right, `**` too. Functions are called like `abs($A)`, inputs are `$A` or
//! `${my query}`.

use winnow::Parser;
use winnow::ascii::{digit0, digit1, hex_digit1, multispace0};
use winnow::combinator::{alt, delimited, opt, preceded};
use winnow::error::EmptyError;
use winnow::token::{one_of, take_till, take_while};

use super::operator::{Function, Operator};
use super::{Formula, Step};

/// The maximum length of a formula, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// The maximum nesting depth of parentheses, functions and signs in a formula.
pub const MAX_DEPTH: usize = 50;

/// The steps of a formula.
pub(super) fn formula(text: &str) -> Result<Formula, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the formula has {} bytes, of which it may have {MAX_BYTES}", text.len()));
    }
    let mut reader =
        Reader { text, rest: text, formula: Formula { steps: Vec::new(), inputs: Vec::new() }, depth: 0 };
    reader.operation(0)?;
    if !reader.rest.is_empty() {
        return Err(reader.fault("an operator was expected"));
    }
    Ok(reader.formula)
}

struct Reader<'s> {
    text: &'s str,
    rest: &'s str,
    formula: Formula,
    depth: usize,
}

type Token<O> = Result<O, EmptyError>;

impl<'s> Reader<'s> {
    /// The error message for the rest of the text.
    fn fault(&self, expected: &str) -> String {
        let at = self.text[..self.text.len() - self.rest.len()].chars().count() + 1;
        match self.rest.chars().next() {
            None => format!("the formula ends where {expected}"),
            Some(found) => format!("{expected} at character {at}, where `{found}` is"),
        }
    }

    /// Reads the next token, if it is of this kind.
    fn try_token<O>(&mut self, token: impl Parser<&'s str, O, EmptyError>) -> Option<O> {
        let mut rest = self.rest;
        let found = (token, multispace0).map(|(found, _)| found).parse_next(&mut rest).ok()?;
        self.rest = rest;
        Some(found)
    }

    fn expect(&mut self, token: char, expected: &str) -> Result<(), String> {
        self.try_token(token).map(drop).ok_or_else(|| self.fault(expected))
    }

    /// Reads values with operators of at least this precedence between them.
    fn operation(&mut self, loosest: u8) -> Result<(), String> {
        self.value()?;
        loop {
            let mut rest = self.rest;
            let Ok((operator, level)) = operator(&mut rest) else { return Ok(()) };
            if level < loosest {
                return Ok(());
            }
            self.rest = rest;
            self.try_token(());
            self.operation(level + 1)?;
            self.formula.steps.push(Step::Combine(operator));
        }
    }

    /// Reads a value, which is one level deeper than its surroundings.
    fn value(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(&format!("nothing nested more than {MAX_DEPTH} levels deep was expected")));
        }
        self.try_token(());
        if let Some(sign) = self.try_token(one_of(['-', '!'])) {
            self.value()?;
            let function = if sign == '-' { Function::Negate } else { Function::Not };
            self.formula.steps.push(Step::Call(function));
        } else if self.try_token('(').is_some() {
            self.operation(0)?;
            self.expect(')', "`)` was expected")?;
        } else if self.rest.starts_with('$') {
            self.input()?;
        } else if self.rest.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            self.number()?;
        } else {
            self.call()?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn input(&mut self) -> Result<(), String> {
        let Some(name) = self.try_token(input) else {
            return Err(self.fault("the name of an input was expected, like `$A` or `${my query}`,"));
        };
        let inputs = &mut self.formula.inputs;
        let place = inputs.iter().position(|known| known == name).unwrap_or_else(|| {
            inputs.push(name.to_owned());
            inputs.len() - 1
        });
        self.formula.steps.push(Step::Input(place));
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        match self.try_token(number) {
            Some(number) => {
                self.formula.steps.push(Step::Number(Some(number)));
                Ok(())
            }
            None => Err(self.fault("a number was expected")),
        }
    }

    /// Reads a function with its argument.
    fn call(&mut self) -> Result<(), String> {
        const VALUE: &str = "a number, an input like `$A`, a function or `(` was expected";
        let before = self.rest;
        let Some(name) = self.try_token(name) else { return Err(self.fault(VALUE)) };
        let constant = match name {
            "null" => Some(None),
            "nan" => Some(Some(f64::NAN)),
            "inf" => Some(Some(f64::INFINITY)),
            "infn" => Some(Some(f64::NEG_INFINITY)),
            _ => None,
        };
        let step = match (constant, Function::named(name)) {
            (Some(number), _) => Step::Number(number),
            (None, Some(function)) => Step::Call(function),
            (None, None) => {
                self.rest = before;
                return Err(self.fault(&format!("there is no function `{name}`: a value was expected")));
            }
        };
        self.expect('(', &format!("`(` was expected after `{name}`"))?;
        if constant.is_none() {
            self.operation(0)?;
        }
        self.expect(')', &format!("`)` was expected to end what `{name}` is given"))?;
        self.formula.steps.push(step);
        Ok(())
    }
}

/// An operator between two values, and its precedence.
fn operator(input: &mut &str) -> Token<(Operator, u8)> {
    let loose = alt((
        "||".value((Operator::Or, 0)),
        "&&".value((Operator::And, 1)),
        "==".value((Operator::Equal, 2)),
        "!=".value((Operator::NotEqual, 2)),
        "<=".value((Operator::AtMost, 2)),
        "<".value((Operator::Less, 2)),
        ">=".value((Operator::AtLeast, 2)),
        ">".value((Operator::Greater, 2)),
    ));
    let tight = alt((
        "+".value((Operator::Add, 3)),
        "-".value((Operator::Subtract, 3)),
        "**".value((Operator::Power, 5)),
        "*".value((Operator::Multiply, 4)),
        "/".value((Operator::Divide, 4)),
        "%".value((Operator::Remainder, 4)),
    ));
    alt((loose, tight)).parse_next(input)
}

fn is_part_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name of a function.
fn name<'s>(input: &mut &'s str) -> Token<&'s str> {
    take_while(1.., is_part_of_name).parse_next(input)
}

/// The name of an input.
fn input<'s>(input: &mut &'s str) -> Token<&'s str> {
    preceded('$', alt((delimited('{', take_till(1.., '}'), '}'), name))).parse_next(input)
}

/// A number: decimal, hexadecimal after `0x`, or octal after `0`.
fn number(input: &mut &str) -> Token<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a constant is a number like others")]
    fn whole(digits: &str, radix: u32) -> Option<f64> {
        u64::from_str_radix(digits, radix).ok().map(|number| number as f64)
    }
    let hexadecimal = preceded(("0", one_of(['x', 'X'])), hex_digit1).verify_map(|digits| whole(digits, 16));
    let fraction = alt(((digit1, opt(('.', digit0))).take(), ('.', digit1).take()));
    let exponent = opt((one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1));
    let other = (fraction, exponent).take().verify_map(|text: &str| {
        let is_octal =
            text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_octal { whole(text, 8) } else { text.parse().ok().filter(|number: &f64| number.is_finite()) }
    });
    alt((hexadecimal, other)).parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        formula(text).unwrap().steps
    }

    fn fault(text: &str) -> String {
        formula(text).unwrap_err()
    }

    #[test]
    fn operators_bind_as_tightly_as_they_should() {
        use Operator::*;
        let levels =
            [[Or, Or], [And, And], [Equal, Less], [Add, Subtract], [Multiply, Remainder], [Power, Power]];
        let texts = [["||", "||"], ["&&", "&&"], ["==", "<"], ["+", "-"], ["*", "%"], ["**", "**"]];
        let order = |text: &str| -> Vec<Operator> {
            let operators = steps(text).into_iter();
            operators
                .filter_map(|step| if let Step::Combine(operator) = step { Some(operator) } else { None })
                .collect()
        };
        for (loose, (operators, of_level)) in levels.iter().zip(texts).enumerate() {
            assert_eq!(order(&format!("1 {} 2 {} 3", of_level[0], of_level[1])), operators);
            for (operator, text) in operators.iter().zip(of_level) {
                for (tight, tight_text) in levels.iter().zip(texts).skip(loose + 1) {
                    let expected = [tight[0], *operator];
                    assert_eq!(order(&format!("1{text}2{}3", tight_text[0])), expected);
                    assert_eq!(order(&format!("1{}2{text}3", tight_text[0])), expected);
                }
            }
        }
        let all = "1||2&&3==4!=5<6<=7>8>=9+1-2*3/4%5**6";
        let expected = [
            Equal, NotEqual, Less, AtMost, Greater, Add, Multiply, Divide, Power, Remainder, Subtract,
            AtLeast,
        ];
        assert_eq!(order(all), [&expected[..], &[And, Or]].concat());
    }

    #[test]
    fn signs_bind_tighter_than_operators() {
        let call = |function| Step::Call(function);
        let one = Step::Number(Some(1.0));
        assert_eq!(steps("-1**1"), [one, call(Function::Negate), one, Step::Combine(Operator::Power)]);
        assert_eq!(steps("! - 1"), [one, call(Function::Negate), call(Function::Not)]);
        assert_eq!(steps("1--1"), [one, one, call(Function::Negate), Step::Combine(Operator::Subtract)]);
    }

    #[test]
    fn numbers() {
        let cases = [
            ("0", 0.0),
            ("2.24", 2.24),
            ("2.", 2.0),
            (".5", 0.5),
            ("0.25", 0.25),
            ("072", 58.0),
            ("0x2A", 42.0),
            ("0Xff", 255.0),
            ("0.8e-2", 0.008),
            ("1E+3", 1000.0),
            ("01e1", 10.0),
        ];
        for (text, number) in cases {
            assert_eq!(steps(text), [Step::Number(Some(number))], "{text}");
        }
        for text in ["08", "1e999", ".", "0xFFFFFFFFFFFFFFFFF"] {
            assert!(fault(text).starts_with('a'), "{text}");
        }
        assert_eq!(fault("1e"), "an operator was expected at character 2, where `e` is");
    }

    #[test]
    fn inputs() {
        let names = |text: &str| formula(text).unwrap().inputs;
        assert_eq!(names(" $A + ${A}+$B2_c /${my  query}\n"), ["A", "B2_c", "my  query"]);
        assert_eq!(steps("$B-$A*$B")[..2], [Step::Input(0), Step::Input(1)]);
        assert_eq!(names("$Größe"), ["Größe"]);
        for text in ["$", "$ A", "${}", "${A", "$-"] {
            assert!(fault(text).starts_with("the name of an input was expected"), "{text}");
        }
    }

    #[test]
    fn faults_say_what_and_where() {
        let cases = [
            ("", "the formula ends where a number, an input like `$A`, a function or `(` was expected"),
            ("1 +", "the formula ends where a number, an input like `$A`, a function or `(` was expected"),
            (
                "1 + * 2",
                "a number, an input like `$A`, a function or `(` was expected at character 5, where `*` is",
            ),
            ("(1", "the formula ends where `)` was expected"),
            ("(1]", "`)` was expected at character 3, where `]` is"),
            ("1 2", "an operator was expected at character 3, where `2` is"),
            ("1)", "an operator was expected at character 2, where `)` is"),
            ("1 = 2", "an operator was expected at character 3, where `=` is"),
            ("äbs(1)", "there is no function `äbs`: a value was expected at character 1, where `ä` is"),
            (
                "'ä' + 1",
                "a number, an input like `$A`, a function or `(` was expected at character 1, where `'` is",
            ),
            ("1 + ln(1)", "there is no function `ln`: a value was expected at character 5, where `l` is"),
            ("abs 1", "`(` was expected after `abs` at character 5, where `1` is"),
            ("abs(1, 2)", "`)` was expected to end what `abs` is given at character 6, where `,` is"),
            (
                "abs()",
                "a number, an input like `$A`, a function or `(` was expected at character 5, where `)` is",
            ),
            ("nan(1)", "`)` was expected to end what `nan` is given at character 5, where `1` is"),
            ("abs(1", "the formula ends where `)` was expected to end what `abs` is given"),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested =
            |depth: usize, open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for (open, close) in [("(", ")"), ("-", ""), ("!", ""), ("abs(", ")"), ("1+(", ")")] {
            assert!(formula(&nested(MAX_DEPTH - 1, open, close)).is_ok(), "{open}");
            let fault = fault(&nested(MAX_DEPTH, open, close));
            assert!(fault.starts_with("nothing nested more than 50 levels deep was expected"), "{fault}");
        }
        // Values next to each other are not nested.
        assert!(formula(&vec!["(1)"; 100].join("+")).is_ok());
        assert!(formula(&vec!["1"; MAX_BYTES / 2].join("+")).is_ok());
        assert!(formula(&format!("1{}", " ".repeat(MAX_BYTES - 1))).is_ok());
        assert_eq!(
            fault(&" ".repeat(MAX_BYTES + 1)),
            "the formula has 8193 bytes, of which it may have 8192"
        );
    }
}
