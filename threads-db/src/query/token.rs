//! From the text of a query to its words.

use serde_json::Number;
use threads_core::FieldPath;

use super::error::QueryError;
use super::filter::Op;

/// One word of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Path(FieldPath),
    Keyword(Keyword),
    Text(String),
    Number(Number),
    Op(Op),
    /// One of `( ) [ ] { } , :`.
    Mark(char),
    End,
}

/// A token and where it stands: its column, and its bytes in the text.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) column: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The words that are not field names, unless in double quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    In,
    Contains,
    StartsWith,
    Exists,
    True,
    False,
    Null,
}

impl Keyword {
    pub(super) fn of(word: &str) -> Option<Self> {
        const ALL: [(&str, Keyword); 10] = [
            ("and", Keyword::And),
            ("or", Keyword::Or),
            ("not", Keyword::Not),
            ("in", Keyword::In),
            ("contains", Keyword::Contains),
            ("starts_with", Keyword::StartsWith),
            ("exists", Keyword::Exists),
            ("true", Keyword::True),
            ("false", Keyword::False),
            ("null", Keyword::Null),
        ];
        ALL.iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(word))
            .map(|(_, keyword)| *keyword)
    }
}

/// Whether a plain word may begin so.
pub(super) fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

/// Whether a plain word may go on so.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-')
}

/// The tokens of `text`; the last is always [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, QueryError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        column: 1,
    };
    let mut tokens = Vec::new();
    loop {
        while lexer.peek().is_some_and(char::is_whitespace) {
            lexer.bump();
        }
        let (column, start) = (lexer.column, lexer.at);
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push(Spanned {
            token,
            column,
            start,
            end: lexer.at,
        });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    column: usize,
}

impl<'t> Lexer<'t> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.column += 1;
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        &self.text[start..self.at]
    }

    fn token(&mut self) -> Result<Token, QueryError> {
        let column = self.column;
        let Some(c) = self.peek() else {
            return Ok(Token::End);
        };
        match c {
            '\'' => Ok(Token::Text(self.quoted('\'')?)),
            '/' => self.pointer(),
            '-' | '0'..='9' => self.number(),
            '"' => self.path(),
            c if is_word_start(c) => self.path(),
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' => {
                self.bump();
                Ok(Token::Mark(c))
            }
            '=' | '!' | '<' | '>' => self.operator(),
            _ => {
                let instead = match c {
                    '&' => ": write 'and'",
                    '|' => ": write 'or'",
                    '‘' | '’' | '“' | '”' => ": write straight quotes",
                    _ => "",
                };
                Err(QueryError::new(
                    column,
                    format!("unexpected character {c:?}{instead}"),
                ))
            }
        }
    }

    fn operator(&mut self) -> Result<Token, QueryError> {
        let column = self.column;
        let op = match self.bump() {
            Some('=') => {
                self.eat('=');
                Op::Eq
            }
            Some('<') if self.eat('=') => Op::Le,
            Some('<') if self.eat('>') => Op::Ne,
            Some('<') => Op::Lt,
            Some('>') if self.eat('=') => Op::Ge,
            Some('>') => Op::Gt,
            _ if self.eat('=') => Op::Ne,
            _ => {
                return Err(QueryError::new(
                    column,
                    "expected '!=': write 'not' to negate",
                ));
            }
        };
        Ok(Token::Op(op))
    }

    /// The inside of a quoted text; the mark itself is written twice, as in SQL.
    fn quoted(&mut self, mark: char) -> Result<String, QueryError> {
        let column = self.column;
        self.bump();
        let mut inside = String::new();
        loop {
            match self.bump() {
                Some(c) if c != mark || self.eat(mark) => inside.push(c),
                Some(_) => return Ok(inside),
                None => {
                    let message = format!("expected a closing {mark} for the one that opens here");
                    return Err(QueryError::new(column, message));
                }
            }
        }
    }

    fn path(&mut self) -> Result<Token, QueryError> {
        let column = self.column;
        let mut segments = Vec::new();
        let mut all_plain = true;
        loop {
            match self.peek() {
                Some('"') => {
                    segments.push(self.quoted('"')?);
                    all_plain = false;
                }
                Some(c) if is_word(c) && c != '-' => {
                    segments.push(self.take_while(is_word).to_owned());
                }
                _ => {
                    let message = "expected a name after '.': names that are not plain words go \
                                   in double quotes";
                    return Err(QueryError::new(self.column, message));
                }
            }
            if !self.eat('.') {
                break;
            }
        }
        if let ([word], true) = (segments.as_slice(), all_plain)
            && let Some(keyword) = Keyword::of(word)
        {
            return Ok(Token::Keyword(keyword));
        }
        let path = FieldPath::new(segments);
        path.map(Token::Path)
            .map_err(|error| QueryError::new(column, error.to_string()))
    }

    /// A JSON Pointer: up to a space or a character that means something here.
    fn pointer(&mut self) -> Result<Token, QueryError> {
        let column = self.column;
        let text = self.take_while(|c| !c.is_whitespace() && !"=!<>()[]{},:'\"".contains(c));
        let path = text.parse().map(Token::Path);
        path.map_err(|error: threads_core::Error| QueryError::new(column, error.to_string()))
    }

    fn number(&mut self) -> Result<Token, QueryError> {
        let (column, start) = (self.column, self.at);
        self.eat('-');
        self.digits()?;
        if self.eat('.') {
            self.digits()?;
        }
        if self.eat('e') || self.eat('E') {
            if !self.eat('+') {
                self.eat('-');
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if self.peek().is_some_and(|c| is_word(c) || c == '.') {
            let message = "a number ends in a letter or a dot: a field name that begins with a \
                           digit goes in double quotes, text in single quotes";
            return Err(QueryError::new(self.column, message));
        }
        // An integer that fits neither type is the nearest double, as it is in any JSON document.
        let integer = text.parse::<u64>().map(Number::from);
        let integer = integer.or_else(|_| text.parse::<i64>().map(Number::from));
        let number = match integer {
            Ok(number) => Some(number),
            Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
        };
        let number = number.map(Token::Number);
        number.ok_or_else(|| QueryError::new(column, "the number is too large"))
    }

    fn digits(&mut self) -> Result<(), QueryError> {
        match self.take_while(|c| c.is_ascii_digit()) {
            "" => Err(QueryError::new(self.column, "expected a digit")),
            _ => Ok(()),
        }
    }
}
