//! Pages of lists.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::storage::{Page, PageRequest};

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

impl PageQuery {
    pub(crate) fn request(&self) -> Result<PageRequest, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::new(
                "query_invalid",
                format!("limit must be 1 to {LIMIT_MAX}"),
            ));
        }
        let cursor = self.cursor.as_deref().map(str::parse).transpose()?;
        Ok(PageRequest { cursor, limit })
    }
}

impl<T> List<T> {
    pub(crate) fn of<I>(page: Page<I>, view: impl FnMut(I) -> T) -> Self {
        let next_cursor = page.next.map(|cursor| cursor.to_string());
        Self {
            data: page.items.into_iter().map(view).collect(),
            next_cursor,
        }
    }

    /// A list that is always whole.
    pub(crate) const fn whole(data: Vec<T>) -> Self {
        Self {
            data,
            next_cursor: None,
        }
    }
}
