import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { paths } from "../api/schema";

export type SearchParameters = NonNullable<paths["/api/search"]["get"]["parameters"]["query"]>;

/** A folder or dashboard that was found. */
export type Hit = paths["/api/search"]["get"]["responses"]["200"]["content"]["application/json"][number];

export type Sorting = NonNullable<SearchParameters["sort"]>;

/** The ways in which hits can be sorted. */
export const sortingQuery = queryOptions({
  queryKey: ["search", "sorting"],
  queryFn: async () => (await of(client.GET("/api/search/sorting"))).sortOptions,
  staleTime: Number.POSITIVE_INFINITY,
});

/** The first hits of a search. */
export function searchQuery(parameters: SearchParameters) {
  return queryOptions({
    queryKey: ["search", parameters],
    queryFn: ({ signal }) => of(client.GET("/api/search", { params: { query: parameters }, signal })),
  });
}

/** What a screen shows is asked for first, so that it comes soon; who scrolls on gets more at once. */
const FIRST_PAGE = 50;
const LARGEST_PAGE = 200;

/** The page that follows so many hits. Their number is a multiple of its size. */
function pageAfter(count: number) {
  const limit = Math.min(Math.max(count, FIRST_PAGE), LARGEST_PAGE);
  return { limit, page: count / limit + 1 };
}

/** All hits of a search, a page at a time. */
export function pagedSearchQuery(parameters: SearchParameters, at: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["search", "paged", parameters, at],
    queryFn: ({ pageParam, signal }) =>
      of(client.GET("/api/search", { params: { query: { ...parameters, at, ...pageParam } }, signal })),
    initialPageParam: pageAfter(0),
    getNextPageParam: (last, all, { limit }) =>
      last.length === limit ? pageAfter(all.reduce((sum, page) => sum + page.length, 0)) : undefined,
  });
}
