//! Whether a request shows a token of the file. The file is read each time, so that a mounted
//! secret can be rotated under a running controller; while senders change over, it may hold the
//! old and the new one, one a line.

use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConstantTimeEq as _};

/// Shortest token: fewer characters are guessed.
const SHORTEST: usize = 16;

/// Most tokens in a file.
const MOST: usize = 8;

/// Why a request may not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// It shows none.
    #[error("show the token, with the header Authorization: Bearer TOKEN")]
    Absent,
    /// It shows another one.
    #[error("the token is not the controller's: it may have been rotated")]
    Wrong,
    /// The file has none to compare with.
    #[error("{0}")]
    Unusable(String),
}

/// Checks the token of a request.
///
/// # Errors
/// Why it may not send.
pub(super) async fn check(file: &Path, headers: &HeaderMap) -> Result<(), TokenError> {
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| bearer(value.as_bytes()))
        .ok_or(TokenError::Absent)?;
    let unusable = |error: std::io::Error| TokenError::Unusable(error.to_string());
    let text = tokio::fs::read_to_string(file).await.map_err(unusable)?;
    compare(&text, shown)
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// In a time that tells nothing of how much of it was right.
fn compare(text: &str, shown: &[u8]) -> Result<(), TokenError> {
    let tokens = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if tokens().next().is_none() {
        return Err(TokenError::Unusable("it holds no token".to_owned()));
    }
    if tokens().count() > MOST || tokens().any(|token| token.len() < SHORTEST) {
        return Err(TokenError::Unusable(format!(
            "it must hold 1 to {MOST} tokens, one a line, each of at least {SHORTEST} characters"
        )));
    }
    let right = tokens().fold(Choice::from(0), |right, token| {
        right | token.as_bytes().ct_eq(shown)
    });
    if bool::from(right) {
        Ok(())
    } else {
        Err(TokenError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_whole_token_of_the_file_is_right() {
        let file = "0123456789abcdef\n\n  fedcba9876543210 \n";
        assert_eq!(compare(file, b"0123456789abcdef"), Ok(()));
        assert_eq!(compare(file, b"fedcba9876543210"), Ok(()));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789abcdeF",
        ] {
            assert_eq!(
                compare(file, wrong.as_bytes()),
                Err(TokenError::Wrong),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_without_a_usable_token_lets_nobody_in() {
        for text in ["", "\n \n", "short", &"0123456789abcdef\n".repeat(9)] {
            let refused = compare(text, b"").unwrap_err();
            assert!(matches!(refused, TokenError::Unusable(_)), "{text:?}");
        }
    }

    #[test]
    fn the_header_is_read_as_the_standard_says() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        for none in [&b"Bearer "[..], b"Basic abc", b"Bear", b"abc"] {
            assert_eq!(bearer(none), None);
        }
    }
}
