//! Pages of lists. Every list has them, also one that is short today: clients that follow
//! `next_cursor` need not learn anything when it grows.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::storage::{CursorError, Page, PageRequest};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// Which part of a list.
#[derive(Deserialize, IntoParams, Default)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next_cursor` of the page before; none for the first page.
    pub(crate) cursor: Option<String>,
    /// Most items of the page, 1 to 200; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// Where the next page starts; null if this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// Which part of a list whose items go by names; its cursor is the last name before, in
/// hexadecimal.
pub(crate) struct NamesRequest {
    after: Option<String>,
    limit: u32,
}

impl PageQuery {
    pub(crate) fn request(&self) -> Result<PageRequest, Problem> {
        let limit = self.checked_limit()?;
        let cursor = self.cursor.as_deref().map(str::parse).transpose()?;
        Ok(PageRequest { cursor, limit })
    }

    /// As [`PageQuery::request`], of a list whose items have no ids.
    pub(crate) fn names_request(&self) -> Result<NamesRequest, Problem> {
        let limit = self.checked_limit()?;
        let name = |cursor| name_of(cursor).ok_or(CursorError);
        let after = self.cursor.as_deref().map(name).transpose()?;
        Ok(NamesRequest { after, limit })
    }

    fn checked_limit(&self) -> Result<u32, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::new(
                "query_invalid",
                format!("limit must be 1 to {LIMIT_MAX}"),
            ));
        }
        Ok(limit)
    }
}

fn name_of(cursor: &str) -> Option<String> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let (pairs, rest) = cursor.as_bytes().as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    String::from_utf8(bytes?).ok()
}

fn cursor_of(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

impl<T> List<T> {
    pub(crate) fn of<I>(page: Page<I>, view: impl FnMut(I) -> T) -> Self {
        let next_cursor = page.next.map(|cursor| cursor.to_string());
        Self {
            data: page.items.into_iter().map(view).collect(),
            next_cursor,
        }
    }

    /// A page, by rising ids, of what is in memory as a whole.
    pub(crate) fn by_id<I>(
        items: impl Iterator<Item = I>,
        page: PageRequest,
        id: impl Fn(&I) -> u128,
        view: impl FnMut(I) -> T,
    ) -> Self {
        let after = page.cursor.map(|cursor| cursor.0);
        let is_after = |item: &I| after.is_none_or(|after| id(item) > after);
        let mut items: Vec<I> = items.filter(is_after).collect();
        items.sort_by_key(&id);
        Self::of(Page::cut(items, page.limit, id), view)
    }

    /// A page, by name, of what is in memory as a whole and has no ids.
    pub(crate) fn by_name<I>(
        items: impl Iterator<Item = I>,
        page: &NamesRequest,
        name: impl Fn(&I) -> &str,
        view: impl FnMut(I) -> T,
    ) -> Self {
        let after = page.after.as_deref();
        let is_after = |item: &I| after.is_none_or(|after| name(item) > after);
        let mut items: Vec<I> = items.filter(is_after).collect();
        items.sort_by(|one, other| name(one).cmp(name(other)));
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let is_last = items.len() <= limit;
        items.truncate(limit);
        let last = items.last().filter(|_| !is_last);
        Self {
            next_cursor: last.map(|last| cursor_of(name(last))),
            data: items.into_iter().map(view).collect(),
        }
    }
}
